"""What notebook 12 asks the toy language for."""

from course_utils.lessons.inside_bert import beliefs
from course_utils.toy.language import ToyLanguage


def test_the_frame_of_a_sentence_has_its_words_and_its_stage():
    language = ToyLanguage(seed=5)
    pairs = zip(language.templates, language.stage_of, strict=True)
    stages = {(frame, language.grammar.STAGES[number]) for frame, number in pairs}
    sentences = [sentence for document in language.documents(60) for sentence in document.sentences]
    found = [beliefs.frame_of(language, sentence.words) for sentence in sentences]
    for sentence, frame in zip(sentences, found, strict=True):
        assert (frame, sentence.stage) in stages
        places = zip(frame.split(), sentence.words, strict=True)
        assert all(gap == word or gap.startswith("{") for gap, word in places)
    assert len(set(found)) > 40
