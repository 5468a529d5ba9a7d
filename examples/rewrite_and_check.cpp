// Makes a picture of a rewritten prompt, looks at what it lacks, tells the rewriter, and makes it again.
//
//     rewrite_and_check MODEL LANGUAGE_MODEL PROMPT OUT.png [CLIP [ROUNDS]]
//
// CLIP, a CLIP model's folder or file, is the judge: it scores the picture against each part of the prompt
// alone
// ("a red cube, a blue ball" has two), and the part that scores least is what the rewriter is told of.
// Without it nothing is found missing, and the first picture stays. Any function that looks at pictures will
// do in its place.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <daguerre/daguerre.hpp>
#include <daguerre/pipeline/language_model.hpp>
#include <daguerre/pipeline/picture_judge.hpp>
#include <daguerre/pipeline/prompt_rewriter.hpp>

namespace {

/// What the host found out about a picture.
struct Verdict {
  double score = 0.0;   ///< of the whole prompt
  std::string missing;  ///< empty: nothing
};
using Judge = std::function<Verdict(const daguerre::Image& picture, const std::string& prompt)>;

std::vector<std::string> parts_of(const std::string& prompt) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < prompt.size();) {
    const auto end = std::min(prompt.find(',', begin), prompt.size());
    const auto part = prompt.substr(begin, end - begin);
    if (const auto first = part.find_first_not_of(' '); first != part.npos)
      parts.push_back(part.substr(first));
    begin = end + 1;
  }
  return parts;
}

/// By CLIP score: below this a part counts as missing.
Judge clip_judge(const std::string& path, double least) {
  const auto clip = daguerre::PictureJudge::load("clip:" + path);
  return [clip, least](const daguerre::Image& picture, const std::string& prompt) {
    const auto score = [&](const std::string& text) { return clip.score(text, {&picture, 1}).at(0); };
    Verdict verdict{score(prompt), ""};
    double lowest = least;
    for (const auto& part : parts_of(prompt))
      if (const double found = score(part); found < lowest) {
        lowest = found;
        verdict.missing = part;
      }
    return verdict;
  };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: rewrite_and_check MODEL LANGUAGE_MODEL PROMPT OUT.png [CLIP [ROUNDS]]\n");
    return 2;
  }
  try {
    const auto pipeline = daguerre::Pipeline::load(argv[1]);
    const daguerre::PromptRewriter rewriter(daguerre::answer_by(daguerre::LanguageModel::load(argv[2])),
                                            {.name = argv[2]});
    const Judge judge =
        argc > 5 ? clip_judge(argv[5], 20.0) : Judge([](const auto&, const auto&) { return Verdict(); });
    const int rounds = argc > 6 ? std::atoi(argv[6]) : 3;

    daguerre::Request request{.prompt = argv[3]};
    request.sampling.seed = 1;
    const std::string wanted = request.prompt;
    std::optional<daguerre::Result> best;
    double best_score = 0.0;
    std::string remark;
    for (int round = 0; round < rounds; ++round) {
      request = rewriter(request, remark);
      auto made = pipeline.generate(request);
      const auto verdict = judge(made.images[0], wanted);  // what was asked for, not what became of it
      std::printf("round %d, score %.2f: %s\n", round + 1, verdict.score, request.prompt.c_str());
      if (!best || verdict.score > best_score) {
        best = std::move(made);
        best_score = verdict.score;
      }
      if (verdict.missing.empty()) break;
      std::printf("  missing: %s\n", verdict.missing.c_str());
      remark = "The last picture lacked: " + verdict.missing +
               ". Write the caption so that it cannot be overlooked.";
    }
    best->save_png(argv[4]);
    std::printf("%s\n", argv[4]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
