"""What a person reads: the summary, the pages about kinds, the progress of a run. Text in, text out; printing is `cli`'s."""
