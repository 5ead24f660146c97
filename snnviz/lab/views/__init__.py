"""The figures beside the neurons: what each shows, when it is drawn, how it is saved."""
