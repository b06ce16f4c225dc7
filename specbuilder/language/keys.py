"""What holds for keys in YAML and in JSON alike: each stands once, and is written in the letters it seems to be written in."""

from __future__ import annotations

from specbuilder.diagnostics import Diagnostics, Fix, Related, Span

_LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u03bf\u03b1\u03bd\u03c1\u03b9\u0131\u0261\uff3f",
    "aeopcyxijshdqwoavpiig_",
)


def duplicate_key(name: str, span: Span, first: Span, diagnostics: Diagnostics) -> None:
    """The second of two equal keys in one mapping."""
    related = (Related(span=first, message="first here"),)
    diagnostics.error(
        "SB0103", f"the key `{name}` stands twice", span, related=related, help="keep one of them; many readers would silently keep the last"
    )


def undisguised(name: str, span: Span, diagnostics: Diagnostics) -> str:
    """The key in the Latin letters that it only looks to be written in; a foreign letter among them is reported."""
    latin = name.translate(_LOOK_ALIKES)
    if latin == name or not latin.isascii():
        return name
    wrong = next(character for character, meant in zip(name, latin, strict=True) if character != meant)
    message = f"the key `{latin}` holds `{wrong}` (U+{ord(wrong):04X}), which only looks like a Latin letter"
    fix = Fix(title=f"write `{latin}`", span=span, text=latin, grade="safe")
    diagnostics.error("SB0111", message, span, help=f"type `{latin}` anew", fixes=(fix,))
    return latin
