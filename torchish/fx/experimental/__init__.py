"""What torch keeps apart as experimental; little of it exists here."""
