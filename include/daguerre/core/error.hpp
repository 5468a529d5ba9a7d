#pragma once

#include <filesystem>
#include <memory>
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
  /// `who` is the part of the library that speaks; it is put in brackets before `message`. `file` is what the
  /// error is about, where that is a file or a folder.
  Error(std::string_view who, std::string_view message, const std::filesystem::path& file = {});

  /// The part of the library that speaks: "safetensors", "unet" …
  std::string who() const { return std::string(text().substr(1, who_size_)); }
  /// What it says, without its name.
  std::string message() const { return std::string(text().substr(who_size_ + 3)); }
  /// The file or folder that the error is about; empty where there is none, or none is known.
  std::filesystem::path path() const { return path_ ? *path_ : std::filesystem::path(); }
  /// Says which file it is about, where that is not known yet: for who knows it and lets the error pass.
  void set_path(const std::filesystem::path& file);

 private:
  std::string_view text() const noexcept { return what(); }
  std::size_t who_size_;
  std::shared_ptr<const std::filesystem::path> path_;  // shared: copies of exceptions must not throw
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
