#pragma once

/* ottla server: builds a node over the real world, attaches the HTTP listener, and runs until a
 * signal ends it. Returns the exit code: 0 after a controlled shutdown, 1 when the node could not
 * start or had to give up, 2 when settings or arguments are wrong. */
int run_server(int argc, char **argv);
