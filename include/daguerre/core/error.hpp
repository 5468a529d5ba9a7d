#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

/// Every failure the library reports is a `daguerre::Error`, but for memory that ran out, which is
/// std::bad_alloc, as everywhere in C++. The text, of at most 3000 bytes, says who speaks, what was expected
/// and what was found: `[safetensors] unet/model.safetensors: tensor "conv_in.weight" has shape …`.
namespace daguerre {

/// Root of all exceptions thrown by the library.
class Error : public std::runtime_error {
 public:
  /// `who` is the part of the library that speaks; it is put in brackets before `message`.
  Error(std::string_view who, std::string_view message);

  /// The part of the library that speaks: "safetensors", "unet" …
  std::string who() const { return std::string(text().substr(1, who_size_)); }
  /// What it says, without its name.
  std::string message() const { return std::string(text().substr(who_size_ + 3)); }

 private:
  std::string_view text() const noexcept { return what(); }
  std::size_t who_size_;
};

/// A file cannot be opened, read or written.
class FileError : public Error {
  using Error::Error;
};

/// The content of a file is malformed: safetensors header, JSON, tokenizer files, images.
class FormatError : public Error {
  using Error::Error;
};

/// A configuration is well formed but asks for something unknown, unsupported or contradictory.
class ConfigError : public Error {
  using Error::Error;
};

/// The weights do not fit the configuration: a tensor is missing or has another shape or type.
class WeightError : public Error {
  using Error::Error;
};

/// The caller's argument is out of range: shapes that do not match, a width of 500, zero steps.
class ArgumentError : public Error {
  using Error::Error;
};

/// A computation produced NaN or infinity; the text names the module.
class NumericError : public Error {
  using Error::Error;
};

/// The caller stopped the run (step callback or stop token).
class Cancelled : public Error {
  using Error::Error;
};

}  // namespace daguerre
