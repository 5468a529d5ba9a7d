#pragma once

#include <string>

#include "daguerre/evaluation/evaluate.hpp"

/// What the measures share.
namespace daguerre::evaluation {

inline constexpr const char* evaluate_speaker = "evaluate";

/// "12 pictures", "1 picture".
std::string counted(Index count, const char* what);
/// "NETWORK (weights SHA-256 0123456789ab)": for definitions.
std::string network_text(const FeatureNetwork& network);
/// Puts what a job could not read into a report.
void list_unreadable(Report& report, const ChunkResults& results, const std::string& set);

/// The CLIP score of pairs' cosines, and HPSv2's.
Figure clip_score_figure(std::span<const double> cosines, const FeatureNetwork& network);
Figure hps_figure(std::span<const double> cosines, const FeatureNetwork& network);

/// Throws ArgumentError, saying both numbers, unless they are one.
void check_numbers_agree(Index a, const std::string& what_a, Index b, const std::string& what_b);

}  // namespace daguerre::evaluation
