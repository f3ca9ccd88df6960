/* dial: connects to a name with many addresses, by staggered attempts. */
#define _GNU_SOURCE

#include "dial.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* What dial_connect must remember while the attempts go on. */
struct race {
    struct dial *dial;
    size_t begun;         /* so many attempts have begun, in their order */
    struct deadline next; /* then the next one begins */
    int error;            /* of the attempt that failed last */
};

/* Returns the first entry, from where on, that has this family, or that has
 * another one, as is_same says. Returns NULL if there is none. */
static const struct addrinfo *find_family(const struct addrinfo *where,
                                          int family, bool is_same) {
    while (where != NULL && (where->ai_family == family) != is_same)
        where = where->ai_next;
    return where;
}

static void add_attempt(struct dial *dial, const struct addrinfo *where) {
    if (dial->count == DIAL_ADDRESSES)
        return;
    struct dial_attempt *attempt = &dial->attempts[dial->count];
    dial->count++;
    *attempt = (struct dial_attempt){
        .state = DIAL_UNTRIED,
        .length = where->ai_addrlen,
        .fd = -1,
    };
    memcpy(&attempt->address, where->ai_addr, where->ai_addrlen);
    addr_format(where->ai_addr, where->ai_addrlen, attempt->name);
}

/* Takes one address of the first family, one of the other, and so on. Within a
 * family, the order stays. When one family has no more, the rest of the other
 * follows: RFC 8305, section 4. */
static void add_in_turn(struct dial *dial, const struct addrinfo *list) {
    int family = list->ai_family;
    const struct addrinfo *first = list;
    const struct addrinfo *other = find_family(list, family, false);

    while (first != NULL || other != NULL) {
        if (first != NULL) {
            add_attempt(dial, first);
            first = find_family(first->ai_next, family, true);
        }
        if (other != NULL) {
            add_attempt(dial, other);
            other = find_family(other->ai_next, family, false);
        }
    }
}

/* Returns 0, or an EAI_ error. */
static int look_up(struct dial *dial) {
    struct addrinfo *list;
    int error =
        addr_resolve(dial->host, dial->port, dial->family, SOCK_STREAM, &list);
    if (error != 0)
        return error;
    add_in_turn(dial, list);
    freeaddrinfo(list);
    return 0;
}

static void set_state(const struct dial *dial, struct dial_attempt *attempt,
                      enum dial_state state) {
    attempt->state = state;
    if (dial->observer != NULL)
        dial->observer(dial->context, attempt);
}

static void close_socket(struct dial_attempt *attempt) {
    if (attempt->fd >= 0)
        (void)close(attempt->fd); /* nothing was sent, so nothing can be lost */
    attempt->fd = -1;
}

static void fail_attempt(struct race *race, struct dial_attempt *attempt,
                         const char *call, int error) {
    close_socket(attempt);
    attempt->call = call;
    attempt->error = error;
    race->error = error;
    if (attempt == &race->dial->attempts[race->begun - 1])
        race->next = deadline_after(0); /* the next need not wait for it */
    set_state(race->dial, attempt, DIAL_FAILED);
}

/* Fails each attempt that is still connecting. */
static void fail_all(struct race *race, const char *call, int error) {
    race->error = error;
    for (size_t i = 0; i < race->begun; i++) {
        struct dial_attempt *attempt = &race->dial->attempts[i];
        if (attempt->state == DIAL_CONNECTING)
            fail_attempt(race, attempt, call, error);
    }
}

/* Begins the next attempt. It goes on while we do something else: connect
 * returns at once, with EINPROGRESS. If it should succeed at once, poll will
 * tell us in the same way. */
static void begin_attempt(struct race *race) {
    struct dial *dial = race->dial;
    struct dial_attempt *attempt = &dial->attempts[race->begun];
    race->begun++;
    set_state(dial, attempt, DIAL_CONNECTING);

    int delay = dial->delay_ms;
    if (delay < DIAL_SHORTEST_DELAY_MS)
        delay = DIAL_SHORTEST_DELAY_MS;
    race->next = deadline_after(delay);

    const struct sockaddr *address = (struct sockaddr *)&attempt->address;
    attempt->fd = socket(address->sa_family,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (attempt->fd < 0)
        fail_attempt(race, attempt, "socket", errno);
    else if (connect(attempt->fd, address, attempt->length) < 0 &&
             errno != EINPROGRESS)
        fail_attempt(race, attempt, "connect", errno);
}

/* Asks whether the connect that has ended has succeeded: lesson 07. */
static bool is_connected(struct race *race, struct dial_attempt *attempt) {
    int error;
    socklen_t size = sizeof error;
    if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        fail_attempt(race, attempt, "getsockopt SO_ERROR", errno);
        return false;
    }
    if (error != 0) {
        fail_attempt(race, attempt, "connect", error);
        return false;
    }
    return true;
}

/* Returns how many milliseconds poll may wait: until the deadline, or until the
 * next attempt begins. */
static int milliseconds_to_wait(const struct race *race) {
    int left = deadline_left(race->dial->deadline);
    if (race->begun == race->dial->count)
        return left;
    int next = deadline_left(race->next);
    if (next < left)
        return next;
    return left;
}

/* Waits until an attempt has ended, or until it is time for something else.
 * Returns the attempt that is connected, or NULL if there is none yet. */
static struct dial_attempt *wait_for_attempts(struct race *race) {
    struct dial_attempt *attempts = race->dial->attempts;
    size_t count = race->begun;
    struct pollfd polled[DIAL_ADDRESSES];

    /* poll passes over an entry whose descriptor is -1. */
    for (size_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = attempts[i].fd, .events = POLLOUT};
    int ready = poll(polled, count, milliseconds_to_wait(race));
    if (ready < 0 && errno != EINTR)
        fail_all(race, "poll", errno);
    if (ready <= 0)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (polled[i].revents != 0 && is_connected(race, &attempts[i]))
            return &attempts[i];
    }
    return NULL;
}

static bool is_any_connecting(const struct race *race) {
    for (size_t i = 0; i < race->begun; i++) {
        if (race->dial->attempts[i].state == DIAL_CONNECTING)
            return true;
    }
    return false;
}

/* Returns the first attempt that is connected, or NULL if there is none. */
static struct dial_attempt *run_race(struct race *race) {
    const struct dial *dial = race->dial;
    for (;;) {
        /* We look at the clock first, as deadline_wait does. */
        if (deadline_left(dial->deadline) == 0) {
            fail_all(race, "connect", ETIMEDOUT);
            return NULL;
        }
        if (race->begun < dial->count && deadline_left(race->next) == 0) {
            begin_attempt(race);
            continue; /* it may have failed already */
        }
        if (race->begun == dial->count && !is_any_connecting(race))
            return NULL;

        struct dial_attempt *winner = wait_for_attempts(race);
        if (winner != NULL)
            return winner;
    }
}

static void abandon_others(struct dial *dial,
                           const struct dial_attempt *winner) {
    for (size_t i = 0; i < dial->count; i++) {
        struct dial_attempt *attempt = &dial->attempts[i];
        if (attempt == winner || attempt->state != DIAL_CONNECTING)
            continue;
        close_socket(attempt);
        set_state(dial, attempt, DIAL_ABANDONED);
    }
}

int dial_connect(struct dial *dial) {
    dial->count = 0;
    dial->lookup_error = look_up(dial);
    if (dial->lookup_error != 0)
        return -1;

    struct race race = {.dial = dial, .next = deadline_after(0)};
    struct dial_attempt *winner = run_race(&race);
    if (winner == NULL) {
        errno = race.error;
        return -1;
    }
    set_state(dial, winner, DIAL_CONNECTED);
    abandon_others(dial, winner);
    return winner->fd;
}
