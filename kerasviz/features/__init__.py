"""What a model looks for: pictures that excite its units, and maps of what units stand for."""
