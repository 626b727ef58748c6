"""What carries audio to a call and back."""
