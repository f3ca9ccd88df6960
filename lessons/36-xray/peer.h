/*
 * peer: which socket the other end of a UNIX socket is. Built by lesson 36, on
 * sock_diag(7).
 */
#ifndef XRAY_PEER_H
#define XRAY_PEER_H

#include <stddef.h>
#include <stdint.h>

/*
 * Asks the kernel for the peer of a UNIX socket of our network, by the number
 * of its file. *peer is the number of the peer's file; or 0 if there is no
 * peer, or if the peer has no file: nobody has accepted it yet, or its last
 * descriptor is closed. Returns 0; or -1 and errno if the kernel does not tell,
 * and then *peer is 0.
 */
int peer_find(uint64_t inode, uint64_t *peer);

/* Reads the kernel's answer, which has length bytes. Returns as peer_find does.
 */
int peer_parse(const uint8_t *answer, size_t length, uint64_t *peer);

#endif
