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
    size_t begun;         /* how many attempts have begun, in their order */
    struct deadline next; /* when the next attempt begins */
    int error;            /* the error of the attempt that failed last */
};

/* Returns the first entry of this family in the list, or NULL. */
static const struct addrinfo *find_family(const struct addrinfo *list,
                                          int family) {
    while (list != NULL && list->ai_family != family)
        list = list->ai_next;
    return list;
}

/* Returns the first entry in the list that is not of this family, or NULL. */
static const struct addrinfo *find_other_family(const struct addrinfo *list,
                                                int family) {
    while (list != NULL && list->ai_family == family)
        list = list->ai_next;
    return list;
}

static void add_attempt(struct dial *dial, const struct addrinfo *entry) {
    if (dial->count == DIAL_ADDRESSES)
        return;
    struct dial_attempt *attempt = &dial->attempts[dial->count];
    dial->count++;
    *attempt = (struct dial_attempt){
        .state = DIAL_UNTRIED,
        .length = entry->ai_addrlen,
        .fd = -1,
    };
    memcpy(&attempt->address, entry->ai_addr, entry->ai_addrlen);
    (void)addr_format(entry->ai_addr, entry->ai_addrlen, attempt->name);
}

/* Makes an attempt for each address. The families alternate, and within a
 * family the order stays. When one family has no more addresses, those of the
 * other family follow: RFC 8305, section 4. */
static void add_attempts(struct dial *dial, const struct addrinfo *list) {
    int family = list->ai_family;
    const struct addrinfo *first = list;
    const struct addrinfo *other = find_other_family(list, family);

    while (first != NULL || other != NULL) {
        if (first != NULL) {
            add_attempt(dial, first);
            first = find_family(first->ai_next, family);
        }
        if (other != NULL) {
            add_attempt(dial, other);
            other = find_other_family(other->ai_next, family);
        }
    }
}

/* Returns 0, or an EAI_ error. */
static int look_up(struct dial *dial) {
    struct addrinfo *list;
    if (dial->addresses != NULL) {
        add_attempts(dial, dial->addresses);
        return 0;
    }
    int error =
        addr_resolve(dial->host, dial->port, dial->family, SOCK_STREAM, &list);
    if (error != 0)
        return error;
    add_attempts(dial, list);
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
        (void)close(attempt->fd); /* we have sent nothing that could be lost */
    attempt->fd = -1;
}

static void fail_attempt(struct race *race, struct dial_attempt *attempt,
                         const char *call, int error) {
    close_socket(attempt);
    attempt->call = call;
    attempt->error = error;
    race->error = error;
    const struct dial_attempt *latest = &race->dial->attempts[race->begun - 1];
    if (attempt == latest)
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
 * returns at once, with EINPROGRESS. Even if connect succeeds at once, we learn
 * it from poll, as in all other cases. */
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
    if (dial->filter != NULL && !dial->filter(dial->context, address)) {
        int other_error = race->error;
        fail_attempt(race, attempt, "connect", EACCES);
        if (other_error != 0)
            race->error = other_error; /* it says more than ours */
        return;
    }
    attempt->fd = socket(address->sa_family,
                         SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (attempt->fd < 0) {
        fail_attempt(race, attempt, "socket", errno);
        return;
    }
    int result = connect(attempt->fd, address, attempt->length);
    if (result < 0 && errno != EINPROGRESS)
        fail_attempt(race, attempt, "connect", errno);
}

/* Call this when connect has ended. Did it succeed? SO_ERROR says that: lesson
 * 07. Returns 0 if it did. Otherwise the attempt has failed, and it returns -1.
 */
static int check_connected(struct race *race, struct dial_attempt *attempt) {
    int error;
    socklen_t size = sizeof error;
    if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        fail_attempt(race, attempt, "getsockopt SO_ERROR", errno);
        return -1;
    }
    if (error != 0) {
        fail_attempt(race, attempt, "connect", error);
        return -1;
    }
    return 0;
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

/* Waits until an attempt has ended, until the next one has to begin, or until
 * the deadline. Returns the attempt that is connected, or NULL if there is none
 * yet. */
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
        if (polled[i].revents == 0)
            continue; /* connect has not ended yet */
        if (check_connected(race, &attempts[i]) == 0)
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
    struct dial_attempt *winner = NULL;
    while (winner == NULL) {
        /* We look at the clock first, as deadline_wait does. */
        if (deadline_left(dial->deadline) == 0) {
            fail_all(race, "connect", ETIMEDOUT);
            return NULL;
        }
        bool have_all_begun = race->begun == dial->count;
        if (have_all_begun && !is_any_connecting(race))
            return NULL;
        /* An attempt may fail as soon as it begins, so after that we look again
         * at what there is to do. */
        if (!have_all_begun && deadline_left(race->next) == 0)
            begin_attempt(race);
        else
            winner = wait_for_attempts(race);
    }
    return winner;
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
