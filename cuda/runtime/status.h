// State of a context on any device: the last message, and the texts of its checks.
#pragma once

#include <cstdarg>
#include <string>
#include <vector>

#include "runtime/context.h"

struct Status {
  std::string sentence;
  std::vector<const char*> checks;  // by number, from 1

  int fail(int status, const char* format, va_list arguments);
  // Returns the number of the checks with a text, which is the same whenever they are launched: a
  // graph launches them again.
  int32_t number(const char* text);
  // Returns the status of a failure that the device reported.
  int report(const Failure& f);
};

// The message of this thread's last failed open.
Status& opening();
