#pragma once

#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "daguerre/core/error.hpp"

namespace daguerre {

/// Which class of exception a failure would be (see error.hpp); `memory` is std::bad_alloc, `other` what a
/// callback of the host's has thrown.
enum class ErrorKind { file, format, config, weights, argument, numeric, cancelled, memory, other };

/// What an exception says, as a value.
struct Failure {
  ErrorKind kind = ErrorKind::other;
  std::string who{};             ///< the part of the library that speaks
  std::string message{};         ///< what it says
  std::filesystem::path path{};  ///< the file or folder it is about; empty where there is none
};

/// The exception that is being handled, as a value. To be called in a catch clause. Never throws: where there
/// is no memory for the texts, memory is what is told of.
Failure current_failure() noexcept;

/// A value, or why there is none: what the `try_` functions give to hosts that want no exceptions.
///
///     const auto pipe = daguerre::Pipeline::try_load("models/stable-diffusion-v1-5");
///     if (!pipe) return complain(pipe.error().message);
///     const auto made = pipe->try_generate({.prompt = "a lighthouse at dawn"});
template <class T>
class [[nodiscard]] Expected {
  static_assert(std::is_nothrow_move_constructible_v<T>);

 public:
  Expected(T value) noexcept : content_(std::in_place_index<0>, std::move(value)) {}
  Expected(Failure failure) noexcept : content_(std::in_place_index<1>, std::move(failure)) {}

  bool has_value() const noexcept { return content_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  // Only where there is a value; as with a pointer, nobody checks.
  const T& operator*() const& noexcept { return *std::get_if<0>(&content_); }
  T& operator*() & noexcept { return *std::get_if<0>(&content_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&content_)); }
  const T* operator->() const noexcept { return std::get_if<0>(&content_); }
  T* operator->() noexcept { return std::get_if<0>(&content_); }
  /// Only where there is none.
  const Failure& error() const noexcept { return *std::get_if<1>(&content_); }

 private:
  std::variant<T, Failure> content_;
};

}  // namespace daguerre
