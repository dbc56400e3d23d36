#pragma once
#include <libwebsockets.h>

/* LWS_PRE is a function-like macro to Swift's importer: the bytes that lws_write needs free in front of its buffer. */
static const int shim_lws_pre = LWS_PRE;
