/*
 * socks: what a client and a proxy say to each other before the proxy connects
 * them: SOCKS, version 5 (RFC 1928, RFC 1929), in words. Built by lesson 36.
 */
#ifndef XRAY_SOCKS_H
#define XRAY_SOCKS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What a segment says. These messages are short, and other protocols have the
 * same bytes. So we take each one for a message of SOCKS only in its turn:
 * client and proxy speak alternately from the beginning of the connection on.
 */
enum socks_step {
    SOCKS_SILENCE,  /* it has no data, so the turn stays as it is */
    SOCKS_ACCEPTS,  /* SYN ACK: a connection begins */
    SOCKS_GREETING, /* from the client, with the methods that it knows */
    SOCKS_FREE,     /* the proxy has chosen a method without a password */
    SOCKS_PASSWORD_WANTED,
    SOCKS_PASSWORD, /* and a name, from the client */
    SOCKS_ADMITTED, /* name and password are right */
    SOCKS_REQUEST,  /* from the client: where to? */
    SOCKS_END,      /* the last message: a reply, or a refusal */
    SOCKS_OTHER,    /* no message of SOCKS */
};

/*
 * Writes "SOCKS greeting", "SOCKS request www.example:80" or "SOCKS reply:
 * succeeded", if the length bytes of a segment, at least one, are a whole
 * message that may follow the step `before`. This must be the last step of the
 * same connection that is not silence, and it must have gone the other way; or
 * else SOCKS_OTHER, which nothing follows. Returns which step the bytes are.
 * For SOCKS_OTHER, nothing is written.
 */
enum socks_step socks_write(FILE *out, enum socks_step before,
                            const uint8_t *bytes, size_t length);

#endif
