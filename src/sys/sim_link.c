/* The network's links: delays, cuts, and what a harness does to connections. */
#include <stdlib.h>

#include "sys/sim_net_int.h"

struct link_rule {
    struct list link;
    struct sim_host *a;
    struct sim_host *b;
    struct sim_link values;
};

struct cut {
    struct list link;
    struct sim_host *from;
    struct sim_host *to;
};

static struct link_rule *find_rule(const struct sim_net *net, const struct sim_host *a,
                                   const struct sim_host *b) {
    struct list *link;
    list_for_each (link, &net->links) {
        struct link_rule *rule = container_of(link, struct link_rule, link);
        if ((rule->a == a && rule->b == b) || (rule->a == b && rule->b == a)) {
            return rule;
        }
    }
    return NULL;
}

const struct sim_link *sim_net_link(const struct sim_net *net, const struct sim_host *a,
                                    const struct sim_host *b) {
    const struct link_rule *rule = find_rule(net, a, b);
    return rule == NULL ? &net->others : &rule->values;
}

int64_t sim_net_delay_ns(struct sim_net *net, const struct sim_host *a, const struct sim_host *b) {
    enum { LOOPBACK_NS_MIN = 5000, LOOPBACK_NS_MAX = 50000 };
    if (a == b && find_rule(net, a, b) == NULL) {
        return sim_between(&net->world->network, LOOPBACK_NS_MIN, LOOPBACK_NS_MAX);
    }
    const struct sim_link *link = sim_net_link(net, a, b);
    return sim_between(&net->world->network, link->delay_min_us * 1000, link->delay_max_us * 1000);
}

static struct cut *find_cut(const struct sim_net *net, const struct sim_host *from,
                            const struct sim_host *to) {
    struct list *link;
    list_for_each (link, &net->cuts) {
        struct cut *cut = container_of(link, struct cut, link);
        if (cut->from == from && cut->to == to) {
            return cut;
        }
    }
    return NULL;
}

bool sim_net_reaches(const struct sim_net *net, const struct sim_host *from,
                     const struct sim_host *to) {
    return !from->dark && !to->dark && (from == to || find_cut(net, from, to) == NULL);
}

void sim_net_set_link(struct sim_world *world, struct sim_host *a, struct sim_host *b,
                      const struct sim_link *link) {
    struct sim_net *net = world->net;
    assert((a == NULL) == (b == NULL));
    assert(link->delay_min_us <= link->delay_max_us);
    if (a == NULL) {
        net->others = *link;
        return;
    }
    struct link_rule *rule = find_rule(net, a, b);
    if (rule == NULL) {
        rule = calloc(1, sizeof *rule);
        assert(rule != NULL);
        rule->a = a;
        rule->b = b;
        list_add_last(&net->links, &rule->link);
    }
    rule->values = *link;
}

void sim_net_cut(struct sim_host *from, struct sim_host *to) {
    struct sim_net *net = from->world->net;
    if (find_cut(net, from, to) == NULL) {
        struct cut *cut = calloc(1, sizeof *cut);
        assert(cut != NULL);
        cut->from = from;
        cut->to = to;
        list_add_last(&net->cuts, &cut->link);
    }
}

void sim_net_heal(struct sim_host *from, struct sim_host *to) {
    struct cut *cut = find_cut(from->world->net, from, to);
    if (cut != NULL) {
        list_remove(&cut->link);
        free(cut);
    }
}

void sim_net_heal_all(struct sim_world *world) {
    struct list *link;
    while ((link = list_take_first(&world->net->cuts)) != NULL) {
        free(container_of(link, struct cut, link));
    }
}

void sim_net_isolate(struct sim_host *host) {
    struct list *link;
    list_for_each (link, &host->world->hosts) {
        struct sim_host *other = container_of(link, struct sim_host, link);
        if (other != host) {
            sim_net_cut(host, other);
            sim_net_cut(other, host);
        }
    }
}

void sim_links_free(struct sim_net *net) {
    sim_net_heal_all(net->world);
    struct list *link;
    while ((link = list_take_first(&net->links)) != NULL) {
        free(container_of(link, struct link_rule, link));
    }
}

static bool is_of(const struct sim_connection *connection, const struct sim_host *host) {
    return connection->ends[0].host == host || connection->ends[1].host == host;
}

void sim_net_reset_connections(struct sim_host *host) {
    struct list *link;
    struct list *after;
    list_for_each_safe (link, after, &host->world->net->connections) {
        struct sim_connection *connection = container_of(link, struct sim_connection, link);
        if (is_of(connection, host)) {
            sim_connection_reset(connection);
        }
    }
}

void sim_net_lose_connections(struct sim_host *host) {
    struct list *link;
    list_for_each (link, &host->world->net->connections) {
        struct sim_connection *connection = container_of(link, struct sim_connection, link);
        if (is_of(connection, host)) {
            connection->lost = true;
        }
    }
}

uint64_t sim_net_connection_count(const struct sim_world *world) {
    return world->net->connection_count;
}
