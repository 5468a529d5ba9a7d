#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary_files.hpp"

namespace daguerre::text {

/// Turns the pieces of merges into ids as they come. What it throws, FormatError, names the source and where
/// in it.
class MergeList {
 public:
  /// Both are kept.
  MergeList(const std::string& source, const BytePairEncoder::Vocabulary& vocabulary)
      : source_(source), vocabulary_(vocabulary) {}

  /// `where` is put behind the source: " line 7".
  void add(std::string_view left, std::string_view right, const std::string& where);
  /// "a b"
  void add(std::string_view pair, const std::string& where);
  std::vector<PairMerge> take() { return std::move(merges_); }

 private:
  [[noreturn]] void fail(const std::string& where, const std::string& problem) const;
  std::int32_t id_of_piece(const std::string& where) const;

  const std::string& source_;
  const BytePairEncoder::Vocabulary& vocabulary_;
  std::vector<PairMerge> merges_;
  std::string piece_;  // reused
};

}  // namespace daguerre::text
