"""Where does it look? One explainer per file on one base."""
