"""What is folded from the log, and can be folded again at any time: sessions, orders, the profiles in Valkey."""
