/*
 * addr: addresses as people write them, as the kernel wants them, and back.
 * Built by lesson 04.
 */
#ifndef COMMON_ADDR_H
#define COMMON_ADDR_H

#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

enum {
    /* The longest text of addr_format: "[" address "%" interface "]:" port. */
    ADDR_TEXT_BYTES = INET6_ADDRSTRLEN + 16 + sizeof "[%]:65535",
};

/*
 * Reads a port, decimal digits and nothing else, from text[0] to
 * text[length - 1]; smallest is 0 for who may ask the kernel to choose, else 1.
 * Returns 0 and the port in host byte order in *port, or -1 and EINVAL.
 */
int addr_parse_port(const char *text, size_t length, unsigned smallest,
                    in_port_t *port);

/*
 * Splits HOST:PORT, or [IPv6]:PORT, of length bytes. Returns 0 and where host
 * and port are within text, without the brackets; or -1 and EINVAL. Nothing is
 * copied, neither part is empty, and no NUL is in them; whether they are a name
 * and a port is for the two functions beside this one to say. An IPv6 address
 * without brackets is refused: which of its colons would be the port's?
 * (RFC 3986, section 3.2.2)
 */
int addr_split(const char *text, size_t length, const char **host,
               size_t *host_length, const char **port, size_t *port_length);

/*
 * All addresses of host (a name or a number, not NULL) and port (decimal, 0 to
 * 65535), in the order in which they should be tried (RFC 6724); family
 * AF_UNSPEC, AF_INET or AF_INET6; type SOCK_STREAM or SOCK_DGRAM. Returns 0 and
 * a list that the caller gives to freeaddrinfo(3), or an EAI_ error, for
 * gai_strerror(3); errno only with EAI_SYSTEM.
 */
int addr_resolve(const char *host, const char *port, int family, int type,
                 struct addrinfo **list);

/*
 * Writes "127.0.0.1:80" or "[::1]:80", in numbers, into text, which has
 * ADDR_TEXT_BYTES. Returns text; an address of another family, or cut short, is
 * written as "family N".
 */
const char *addr_format(const struct sockaddr *address, socklen_t length,
                        char *text);

#endif
