"""Pages for people, rendered on the server: what a user did and is shown, and why. Nothing is decided here."""
