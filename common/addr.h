/*
 * addr: turns addresses as people write them into those that the kernel takes,
 * and back. Built by lesson 04.
 */
#ifndef COMMON_ADDR_H
#define COMMON_ADDR_H

#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
    /* The longest text of addr_format: "[" address "%" interface "]:" port. The
     * name of an interface has at most 16 bytes: IF_NAMESIZE in <net/if.h>. */
    ADDR_TEXT_BYTES = INET6_ADDRSTRLEN + 16 + sizeof "[%]:65535",
};

/*
 * Reads a port from the length bytes at text, which need no NUL behind them:
 * decimal digits and nothing else. The port must be at least smallest and at
 * most 65535. Give 1 for smallest, or 0 for a server that may leave it to the
 * kernel to choose a port.
 *
 * Returns 0 and puts the port into *port, in host byte order. Otherwise it
 * returns -1 with errno EINVAL, and leaves *port as it was.
 */
int addr_parse_port(const char *text, size_t length, unsigned smallest,
                    in_port_t *port);

/*
 * Splits the length bytes at text, which are HOST:PORT or [IPv6]:PORT, and need
 * no NUL behind them. Nothing is copied: *host and *port point into text, so
 * they are good for as long as text is, and have no NUL behind them. Their
 * lengths in bytes are *host_length and *port_length. The brackets belong to
 * neither.
 *
 * Returns 0, and then neither part is empty or has a NUL in it. Whether they
 * are a host and a port remains to be seen: addr_parse_port and addr_resolve
 * say that. Returns -1 with errno EINVAL when text has another form, and leaves
 * the four as they were. An IPv6 address needs its brackets, because otherwise
 * nobody could tell which colon comes before the port: RFC 3986, section 3.2.2.
 */
int addr_split(const char *text, size_t length, const char **host,
               size_t *host_length, const char **port, size_t *port_length);

/*
 * Looks up all addresses of host, which is a name or an address in numbers, and
 * not NULL. port is a number from 0 to 65535, as decimal digits. family is
 * AF_INET, AF_INET6, or AF_UNSPEC for both. type is SOCK_STREAM or SOCK_DGRAM.
 * It may wait for name servers, for as long as getaddrinfo(3) does.
 *
 * Returns 0 and puts the addresses into *list, in the order in which they
 * should be tried (RFC 6724). The caller frees the list with freeaddrinfo(3).
 * Otherwise it returns an EAI_ error, for gai_strerror(3); a port that is no
 * number is EAI_SERVICE. errno has a meaning only with EAI_SYSTEM.
 */
int addr_resolve(const char *host, const char *port, int family, int type,
                 struct addrinfo **list);

/* Returns how many addresses the list holds, from this entry on: 0 for NULL. */
size_t addr_count(const struct addrinfo *list);

/*
 * Writes an address of length bytes into text, which has ADDR_TEXT_BYTES, in
 * numbers: "127.0.0.1:80" or "[::1]:80". An address of another family, or one
 * that is cut short, becomes "family N". Returns text. It never fails.
 */
const char *addr_format(const struct sockaddr *address, socklen_t length,
                        char *text);

#endif
