"""Files that snnviz 0.1.0 wrote before its folders were arranged: they must keep loading."""
