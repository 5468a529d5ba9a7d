#include "text/merge_list.hpp"

#include "core/text.hpp"

namespace daguerre::text {

void MergeList::fail(const std::string& where, const std::string& problem) const {
  malformed(source_ + where, problem);
}

std::int32_t MergeList::id_of_piece(const std::string& where) const {
  const auto at = vocabulary_.find(piece_);
  if (at == vocabulary_.end()) fail(where, "piece " + in_quotes(piece_) + " is not in the vocabulary");
  return at->second;
}

void MergeList::add(std::string_view left, std::string_view right, const std::string& where) {
  if (merges_.size() == max_merges) fail(where, "more than " + std::to_string(max_merges) + " merges");
  piece_.assign(left);
  const std::int32_t left_id = id_of_piece(where);
  piece_.assign(right);
  const std::int32_t right_id = id_of_piece(where);
  piece_.assign(left).append(right);
  merges_.push_back({left_id, right_id, id_of_piece(where)});
}

void MergeList::add(std::string_view pair, const std::string& where) {
  const std::size_t space = pair.find(' ');
  if (space == std::string_view::npos || space == 0 || space + 1 == pair.size() ||
      pair.find(' ', space + 1) != std::string_view::npos)
    fail(where, "expected two pieces with one space between them, found " + in_quotes(pair));
  add(pair.substr(0, space), pair.substr(space + 1), where);
}

}  // namespace daguerre::text
