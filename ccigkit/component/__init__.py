"""Components: what is chosen by name, how it is found, what options it takes."""
