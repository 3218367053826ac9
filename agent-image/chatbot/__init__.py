"""A small chatbot that answers over HTTP and remembers only as long as it is told to."""
