#include "runtime/status.h"

#include <cstdio>

int Status::fail(int status, const char* format, va_list arguments) {
  char text[1024];
  std::vsnprintf(text, sizeof text, format, arguments);
  sentence = text;
  return status;
}

int Status::report(const Failure& f) {
  int status = QLORA_OK;
  if (f.check > 0 && f.check <= static_cast<int32_t>(checks.size())) {
    char text[512];
    std::snprintf(text, sizeof text, checks[f.check - 1], f.row, f.value, f.limit);
    sentence = text;
    status = QLORA_ERROR;
  }
  checks.clear();
  return status;
}

Status& opening() {
  static thread_local Status status;
  return status;
}
