"""What may pass, in which form, and how it is carried between a reader and the engine."""
