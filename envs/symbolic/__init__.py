"""Reading and comparing mathematical answers, hostile ones included: from text to a yes or no."""
