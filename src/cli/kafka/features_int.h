#pragma once

struct tool;

/* What kafka-features and kafka-storage have in common; they ask no cluster.
 * version-mapping: the levels of --release-version; feature-dependencies: what each --feature
 * needs. */
int features_print_mapping(struct tool *tool);
int features_print_dependencies(struct tool *tool);
