#include <signal.h>
#include <stddef.h>

#include "table.h"

enum { SIGNALS = 65 };

static struct sigaction kept[SIGNALS];

void mpi_keep_signals(void) {
  for (int s = 1; s < SIGNALS; s++) sigaction(s, NULL, &kept[s]);
}

uint64_t mpi_put_signals_back(void) {
  uint64_t changed = 0;
  struct sigaction now;
  for (int s = 1; s < SIGNALS; s++) {
    if (s == SIGKILL || s == SIGSTOP || sigaction(s, NULL, &now)) continue;
    if (now.sa_sigaction == kept[s].sa_sigaction && now.sa_flags == kept[s].sa_flags) continue;
    changed |= 1ull << (s - 1);
    sigaction(s, &kept[s], NULL);
  }
  return changed;
}
