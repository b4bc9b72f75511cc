// What every context has, whichever device is behind it: the last sentence, and the texts of
// checks since the last sync.
#pragma once

#include <cstdarg>
#include <string>
#include <vector>

#include "runtime/context.h"

struct Status {
  std::string sentence;
  std::vector<const char*> checks;

  int fail(int status, const char* format, va_list arguments);
  // The status of a failure that the device reported; forgets the checks.
  int report(const Failure& f);
};

// The sentence of an open that gave no context, of this thread.
Status& opening();
