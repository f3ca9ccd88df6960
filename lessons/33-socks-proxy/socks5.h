/*
 * socks5: the handshake of SOCKS 5 with a client: RFC 1928, and RFC 1929 for
 * names and passwords. Built by lesson 33.
 */
#ifndef SOCKS_PROXY_SOCKS5_H
#define SOCKS_PROXY_SOCKS5_H

#include "tunnel.h"

/*
 * Does the handshake with tunnel->client, a non-blocking socket, and connects
 * to the server that the client asks for. It waits for both, so it is called in
 * a thread of its own. tunnel->server has to be -1.
 *
 * If all goes well, tunnel->server becomes the connection to the server, and
 * tunnel->target is set. What the client sends behind the handshake has not
 * been received. If the handshake fails, tunnel->server stays -1, or is -1
 * again. A client that has sent a request has then been told why, unless it
 * could not be reached any more. tunnel->client is never closed here.
 */
void socks5_shake_hands(struct tunnel *tunnel);

#endif
