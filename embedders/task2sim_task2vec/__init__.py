"""Task2Vec: tasks as vectors."""
