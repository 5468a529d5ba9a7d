#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "support/catch.hpp"

namespace daguerre::test {

/// Runs `action`, which must throw `E` with a text that contains every one of `parts`.
template <class E, class F>
void expect_error(F&& action, std::initializer_list<std::string_view> parts) {
  try {
    action();
  } catch (const E& error) {
    const std::string text = error.what();
    for (const auto part : parts) {
      INFO("message: " << text << "\nmissing: " << part);
      CHECK(text.find(part) != std::string::npos);
    }
    return;
  } catch (const std::exception& error) {
    FAIL("another exception came: " << error.what());
  }
  FAIL("nothing was thrown");
}

}  // namespace daguerre::test
