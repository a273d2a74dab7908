"""The pure core: from documents and assignments to verdicts. No input or output, no clock."""
