"""What metrics share: questions, who answers them, how answers are compared."""
