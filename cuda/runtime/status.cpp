#include "runtime/status.h"

#include <algorithm>
#include <cstdio>

int Status::fail(int status, const char* format, va_list arguments) {
  char text[1024];
  std::vsnprintf(text, sizeof text, format, arguments);
  sentence = text;
  return status;
}

int32_t Status::number(const char* text) {
  auto found = std::find(checks.begin(), checks.end(), text);
  if (found == checks.end()) found = checks.insert(found, text);
  return static_cast<int32_t>(found - checks.begin()) + 1;
}

int Status::report(const Failure& f) {
  int status = QLORA_OK;
  if (f.check > 0 && f.check <= static_cast<int32_t>(checks.size())) {
    char text[512];
    std::snprintf(text, sizeof text, checks[f.check - 1], f.row, f.value, f.limit);
    sentence = text;
    status = QLORA_ERROR;
  }
  return status;
}

Status& opening() {
  static thread_local Status status;
  return status;
}
