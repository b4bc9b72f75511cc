// State of a context on any device: the last message, and the texts of the checks since the last
// sync.
#pragma once

#include <cstdarg>
#include <string>
#include <vector>

#include "runtime/context.h"

struct Status {
  std::string sentence;
  std::vector<const char*> checks;

  int fail(int status, const char* format, va_list arguments);
  // Returns the status of a failure that the device reported and clears the checks.
  int report(const Failure& f);
};

// The message of this thread's last failed open.
Status& opening();
