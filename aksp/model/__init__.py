"""The things that aksp is about, as frozen data without input or output."""
