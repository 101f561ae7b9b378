"""Tables, figures and files made from result documents. Nothing physical is computed here."""
