// SY_ASSERT states what only a bug of ours can break. It stays on in release builds: going on after a broken invariant in a
// proxy means mixing one client's bytes with another's. What a network or a system may do is never asserted.
#pragma once

#include <cstdio>
#include <cstdlib>

#define SY_ASSERT(condition)                                                                            \
  do {                                                                                                  \
    if (!(condition)) [[unlikely]] {                                                                    \
      std::fprintf(stderr, "steelyard: %s:%d: broken invariant: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                     \
    }                                                                                                   \
  } while (false)
