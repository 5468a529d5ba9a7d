#include "daguerre/core/expected.hpp"

#include <new>
#include <stdexcept>

#include "core/attempt.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;

namespace {

/// What is left of an exception.
template <class Thrown>
Failure failure_of_thrown(const Thrown& thrown) {
  const auto result = attempt([&]() -> int { throw thrown; });
  REQUIRE_FALSE(result);
  return result.error();
}

}  // namespace

TEST_CASE("every exception becomes a value of its kind", "[error]") {
  const auto kind = [](const auto& thrown) { return failure_of_thrown(thrown).kind; };
  CHECK(kind(FileError("a", "b")) == ErrorKind::file);
  CHECK(kind(FormatError("a", "b")) == ErrorKind::format);
  CHECK(kind(ConfigError("a", "b")) == ErrorKind::config);
  CHECK(kind(WeightError("a", "b")) == ErrorKind::weights);
  CHECK(kind(ArgumentError("a", "b")) == ErrorKind::argument);
  CHECK(kind(NumericError("a", "b")) == ErrorKind::numeric);
  CHECK(kind(Cancelled("a", "b")) == ErrorKind::cancelled);
  CHECK(kind(Error("a", "b")) == ErrorKind::other);
  CHECK(kind(std::bad_alloc()) == ErrorKind::memory);
  CHECK(kind(std::runtime_error("b")) == ErrorKind::other);
  CHECK(kind(3) == ErrorKind::other);
  CHECK(failure_of_thrown(std::runtime_error("from the host")).message == "from the host");
  const auto failure = failure_of_thrown(WeightError("unet", "a tensor is missing", "some/file"));
  CHECK(failure.who == "unet");
  CHECK(failure.message == "a tensor is missing");
  CHECK(failure.path == "some/file");
}

TEST_CASE("what a function returns is the value of the attempt", "[error]") {
  auto result = attempt([] { return std::string("a longer text than fits into a string itself"); });
  static_assert(noexcept(attempt([] { return 1; })));
  REQUIRE(result.has_value());
  CHECK(result->size() == 44);
  CHECK(*std::move(result) == "a longer text than fits into a string itself");
}

TEST_CASE("an error takes the file of the first who knows it", "[error]") {
  const auto path_of = [](const auto& thrown) {
    try {
      naming("outer", [&] { naming("inner", [&] { throw thrown; }); });
    } catch (const Error& error) {
      CHECK(std::string(error.what()) == "[who] what");  // the text stays as it is
      return error.path().string();
    }
    return std::string("nothing was thrown");
  };
  CHECK(path_of(ConfigError("who", "what")) == "inner");
  CHECK(path_of(ConfigError("who", "what", "own")) == "own");
  CHECK(path_of(FileError("who", "what")) == "inner");
  // These are about no file.
  CHECK(path_of(ArgumentError("who", "what")).empty());
  CHECK(path_of(NumericError("who", "what")).empty());
  CHECK(path_of(Cancelled("who", "what")).empty());
  CHECK(naming("file", [] { return 3; }) == 3);
  static_assert(std::is_nothrow_copy_constructible_v<FileError>);
}
