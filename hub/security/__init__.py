"""Who may speak at the broker: credentials of nodes, and the files by which mosquitto knows them."""
