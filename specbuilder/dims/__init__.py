"""Sizes as symbols: the algebra (`polynomial`), its text form read back (`text`), proof (`proof`), and what sizes must meet (`requirement`).

Everything else imports these names from `specbuilder.shapes`.
"""
