"""Networks of layers on golden's numbers: run in integers, made from float networks, read from other tools' files."""
