#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/evaluation/feature_job.hpp"
#include "daguerre/evaluation/report.hpp"

namespace daguerre::evaluation {

struct MeasureOptions {
  FeatureNetworkOptions network{};
  /// What distributions are compared with: pictures or statistics of their features (`fid`).
  std::filesystem::path reference{};
  JobOptions job{};  ///< of the reference's features
};

/// Measures of pictures as they are made, of the pictures alone, of them and their prompts, and of pairs:
///
/// - "fid:NETWORK", "kid:NETWORK", "pr:NETWORK" and "cmmd:PATH" against a reference, NETWORK being what
///   FeatureNetwork::load takes ("pytorch-fid:PATH", "vae:PATH" …); "is:NETWORK" without one;
/// - "clip:PATH" and "hps:PATH", picture by picture, with a mean for each category;
/// - "psnr", "ssim" and what PerceptualDistance::load takes ("lpips-alex:PATH" …), between two pictures of
/// one
///   item.
///
/// A network that several measures name is loaded once, and sees the reference once. Where several measures
/// of one kind are asked for, their figures' names say which network's they are: "Frechet distance (vae)".
/// Immutable and cheap to copy.
class PictureMeasures {
 public:
  /// Throws ArgumentError for a measure that is none of these, is named twice, lacks a reference, or is an
  /// Inception Score of a network that does not classify; and what loading throws.
  static PictureMeasures load(std::span<const std::string> measures, const MeasureOptions& options = {});

  bool has_pair_measures() const noexcept;
  /// Whether any measure looks at a picture alone, or at its prompt.
  bool has_picture_measures() const noexcept;
  /// What is to be said of the reference: warnings, and its pictures that cannot be read.
  const Report& about_reference() const noexcept;
  /// A JSON object of what results depend on.
  std::string settings() const;

  /// Adds what the measures need of pictures, of one prompt each, to a chunk, names beginning with `prefix`.
  void look(std::span<const Image> pictures, std::span<const std::string> prompts, const std::string& prefix,
            ChunkValues& chunk, std::stop_token stop = {}) const;
  /// The same of pairs. Throws ArgumentError where two differ in size.
  void look_at_pairs(std::span<const Image> a, std::span<const Image> b, ChunkValues& chunk) const;

  /// The figures of what `look` found under `prefix`; `categories` are the items'.
  Report figures(const ChunkResults& results, const std::string& prefix,
                 std::span<const std::string> categories) const;
  /// Of them those of all pictures together, which have no categories (fid, kid, pr, cmmd, is).
  Report distribution_figures(const ChunkResults& results, const std::string& prefix) const;
  Report pair_figures(const ChunkResults& results, std::span<const std::string> categories) const;
  /// Of scores that pictures have by themselves (clip, hps): both sides' means, the mean difference of pairs
  /// (Student's t, and a bootstrap), how often the first is above, and the sign test, for each category.
  Report paired_figures(const ChunkResults& results, const std::string& a, const std::string& b,
                        std::span<const std::string> categories) const;

 private:
  struct State;
  explicit PictureMeasures(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre::evaluation
