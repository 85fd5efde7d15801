"""What shoppers read, in every language of `LANGUAGES`: collected from the sources, kept in `locale/`, compiled without gettext's tools."""
